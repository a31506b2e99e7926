// Shows new standings in an open page. Without it the page is whole, and as new as its last load.
"use strict";
(() => {
  const place = document.getElementById("standings");
  if (!place || !window.EventSource) return;
  const address = new URL(location.href);
  address.searchParams.set("part", "table");
  const news = new EventSource(place.dataset.events);
  news.addEventListener("standings", async () => {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const scrolled = place.querySelector(".wide")?.scrollLeft ?? 0;
    // The server's own escaped table, the same that a reload would show.
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    place.replaceChildren(...fresh.body.childNodes);
    const wide = place.querySelector(".wide");
    if (wide) wide.scrollLeft = scrolled;
    place.classList.add("fresh");
    setTimeout(() => place.classList.remove("fresh"), 2000);
  });
  addEventListener("pagehide", () => news.close());
})();
