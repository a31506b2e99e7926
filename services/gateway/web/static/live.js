// Shows what is new in an open page. Without it the page is whole, and as new as its last load.
//
// An element with data-events names a stream of server-sent events; data-event is the event that
// makes its content be read again. After "end" there is nothing more to come.
"use strict";
(() => {
  if (!window.EventSource) return;
  for (const place of document.querySelectorAll("[data-events]")) follow(place);

  function follow(place) {
    const address = new URL(location.href);
    address.searchParams.set("part", "table");
    const news = new EventSource(place.dataset.events);
    let reading = false;
    let again = false;

    async function renew() {
      again = true;
      if (reading) return;
      reading = true;
      try {
        while (again) {
          again = false;
          await read();
        }
      } finally {
        reading = false;
      }
    }

    async function read() {
      const answer = await fetch(address, { headers: { accept: "text/html" } });
      // A page that asks to sign in is none that fits in here.
      if (answer.redirected) return location.reload();
      if (!answer.ok) return;
      const scrolled = place.querySelector(".wide")?.scrollLeft ?? 0;
      // The server's own escaped content, the same that a reload would show.
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      place.replaceChildren(...fresh.body.childNodes);
      const wide = place.querySelector(".wide");
      if (wide) wide.scrollLeft = scrolled;
      // What a screen reader says is kept in one place, so that it is said once.
      const says = place.querySelector("[data-says]")?.dataset.says;
      const status = document.getElementById("live-status");
      if (says && status && status.textContent !== says) status.textContent = says;
      place.classList.add("fresh");
      setTimeout(() => place.classList.remove("fresh"), 2000);
      place.dispatchEvent(new CustomEvent("fresh"));
    }

    news.addEventListener(place.dataset.event ?? "standings", renew);
    news.addEventListener("end", (event) => {
      if (event.data === "final") news.close();
      if (event.data === "NOT_AUTHENTICATED") location.reload();
    });
    addEventListener("pagehide", () => news.close());
  }
})();
