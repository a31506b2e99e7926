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
    let news = null;
    let reading = false;
    let again = false;
    let ended = false;

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
      const chosen = new Set([...place.querySelectorAll("input:checked")].map((box) => box.value));
      // The server's own escaped content, the same that a reload would show.
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      place.replaceChildren(...fresh.body.childNodes);
      for (const box of place.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.value);
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

    function listen() {
      news = new EventSource(place.dataset.events);
      news.addEventListener(place.dataset.event ?? "standings", renew);
      news.addEventListener("end", (event) => {
        if (event.data === "final") ended = true;
        if (event.data === "NOT_AUTHENTICATED") return location.reload();
        if (ended) news.close();
      });
    }

    // A browser holds few connections to a site, so a page that nobody sees gives its own back; what
    // it missed meanwhile it reads when it is seen again.
    function look() {
      if (ended) return;
      if (document.hidden) {
        news?.close();
        news = null;
      } else if (!news) {
        listen();
        renew();
      }
    }

    if (!document.hidden) listen();
    addEventListener("visibilitychange", look);
    addEventListener("pagehide", () => news?.close());
  }
})();
