// Uploads an archive so that a broken connection and a closed page lose nothing (tus 1.0.0).
//
// On the page of a new submission it hashes the file, creates the submission and sends the bytes;
// on the page of a submission that waits for bytes it goes on where the durable ones end.
"use strict";
(() => {
  const panel = document.getElementById("upload");
  if (!panel || !window.Worker || !window.tus) return;
  const form = document.getElementById("new-submission");
  const input = document.getElementById("archive");
  const start = document.getElementById("start");
  const pause = document.getElementById("pause");
  const bar = document.getElementById("upload-bar");
  const figures = document.getElementById("upload-figures");
  const status = document.getElementById("upload-status");
  const fault = document.getElementById("upload-fault");
  const working = document.getElementById("upload-working");
  const WAITS_MS = [0, 500, 1000, 2000, 4000, 8000, 15000, ...Array(30).fill(30000)];

  document.getElementById("needs-script").hidden = true;
  start.disabled = false;
  (form ?? panel).addEventListener("submit", (event) => {
    event.preventDefault();
    begin().catch((error) => fail(error));
  });
  if (form) input.addEventListener("change", () => readName(input.files[0]?.name ?? ""));

  async function begin() {
    const file = input.files[0];
    if (!file) return;
    fault.hidden = true;
    working.hidden = false;
    start.disabled = true;
    input.disabled = true;
    say("Computing the SHA-256 of the file…");
    const digest = await digestOf(file);
    if (form) {
      const created = await create(file, digest);
      // From here on a reload leads to the submission, where the upload goes on.
      history.replaceState(null, "", created.page);
      panel.dataset.archive = created.archive;
      panel.dataset.page = created.page;
    } else if (file.size !== Number(panel.dataset.bytes) || digest !== panel.dataset.sha256) {
      throw new Told("This is another file than the one that was announced: " +
        "its size or its SHA-256 differs.", "DIGEST_MISMATCH");
    }
    send(file);
  }

  function digestOf(file) {
    const worker = new Worker(panel.dataset.worker, { type: "module" });
    const pace = speedometer();
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.done) show(data.done, file.size, pace(data.done));
        if (data.digest) resolve(data.digest);
        if (data.error) reject(new Told("The file cannot be read.", data.error));
      };
      worker.onerror = () => reject(new Told("The file cannot be hashed here.", "WORKER_FAILED"));
      worker.postMessage(file);
    }).finally(() => worker.terminate());
  }

  async function create(file, digest) {
    const fields = new URLSearchParams(new FormData(form));
    const board = fields.get("board_id");
    const fits = file.name.endsWith(`-${board}.zip`);
    fields.set("archive_bytes", file.size);
    fields.set("archive_sha256", digest);
    fields.set("archive_name", fits ? file.name : `${fields.get("model_name").trim()}-${board}.zip`);
    say("Creating the submission…");
    const answer = await fetch(form.action, {
      method: "POST", headers: { accept: "application/json" }, body: fields,
    });
    const content = await answer.json();
    if (!answer.ok) throw new Told(content.message, content.reason);
    return content;
  }

  function send(file) {
    const pace = speedometer();
    let sent = false;
    const upload = new tus.Upload(file, {
      uploadUrl: panel.dataset.archive,
      headers: { "X-Form-Token": panel.dataset.formToken },
      retryDelays: WAITS_MS,
      storeFingerprintForResuming: false,
      onBeforeRequest: (request) => { sent = request.getMethod() === "PATCH"; say("Uploading…"); },
      onProgress: (done, total) => show(done, total, pace(done)),
      onShouldRetry: (error) => {
        const code = error.originalResponse?.getStatus() ?? 0;
        const retried = code === 0 || code >= 500 || code === 429 ||
          (code === 409 && toldBy(error).reason === "OFFSET_MISMATCH");
        if (retried) say("The connection broke. Trying again…");
        return retried;
      },
      onError: (error) => {
        const told = toldBy(error);
        // It takes no more bytes: an earlier request was still under way and brought the rest, or it
        // was withdrawn elsewhere. Its page says which.
        if (told.reason === "ILLEGAL_TRANSITION") return location.assign(panel.dataset.page);
        fail(told);
      },
      onSuccess: async () => {
        // Every byte had come before a break, but not the end of the upload.
        if (!sent) await finish(file.size);
        say("The archive is here.");
        location.assign(panel.dataset.page);
      },
    });
    pause.hidden = false;
    pause.onclick = async () => {
      const paused = pause.dataset.paused === "yes";
      pause.dataset.paused = paused ? "" : "yes";
      pause.textContent = paused ? "Pause" : "Go on";
      if (paused) return upload.start();
      await upload.abort();
      say("Paused. What came is kept.");
    };
    upload.start();
  }

  function finish(bytes) {
    return fetch(panel.dataset.archive, {
      method: "PATCH",
      headers: {
        "Tus-Resumable": "1.0.0", "Upload-Offset": bytes, "X-Form-Token": panel.dataset.formToken,
        "Content-Type": "application/offset+octet-stream",
      },
    });
  }

  function Told(message, reason) {
    this.message = message;
    this.reason = reason;
  }

  function toldBy(error) {
    const code = error.originalResponse?.getStatus() ?? 0;
    try {
      const content = JSON.parse(error.originalResponse.getBody());
      return new Told(content.message, content.reason);
    } catch {
      if (code === 401) return new Told("You are signed out. Sign in and go on.", "NOT_AUTHENTICATED");
      return new Told("The upload cannot go on now.", code ? `HTTP ${code}` : "UNAVAILABLE");
    }
  }

  function fail(error) {
    fault.hidden = false;
    fault.querySelector("span").textContent = error.message;
    fault.querySelector("code").textContent = error.reason ?? "";
    say("Stopped.");
    pause.hidden = true;
    start.disabled = false;
    input.disabled = false;
    // The submission exists: the next attempt goes on there.
    if (form && panel.dataset.page) {
      start.disabled = true;
      input.disabled = true;
      const onward = document.getElementById("upload-onward");
      onward.hidden = false;
      onward.querySelector("a").href = panel.dataset.page;
    }
  }

  function say(text) {
    if (status.textContent !== text) status.textContent = text;
  }

  function show(done, total, speed) {
    bar.max = total;
    bar.value = done;
    figures.textContent = `${size(done)} of ${size(total)}` + (speed ? `, ${size(speed)}/s` : "");
  }

  // Bytes per second over the last seconds.
  function speedometer() {
    const seen = [];
    return (done) => {
      const now = performance.now();
      seen.push([now, done]);
      while (seen.length > 2 && now - seen[0][0] > 5000) seen.shift();
      const [time, bytes] = seen[0];
      return now - time < 200 ? 0 : Math.max(0, ((done - bytes) * 1000) / (now - time));
    };
  }

  function size(bytes) {
    const units = ["bytes", "kB", "MB", "GB"];
    let unit = 0;
    while (bytes >= 1000 && unit < 3) {
      bytes /= 1000;
      unit += 1;
    }
    return `${unit ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
  }

  // `<Model Name>-<Board ID>.zip` says both.
  function readName(name) {
    const boards = [...form.elements.board_id.options].map((option) => option.value);
    const fitting = boards.filter((board) => board && name.endsWith(`-${board}.zip`));
    if (!fitting.length) return;
    const board = fitting.reduce((one, other) => (other.length > one.length ? other : one));
    form.elements.board_id.value = board;
    const model = form.elements.model_name;
    if (!model.value) model.value = name.slice(0, -`-${board}.zip`.length);
  }
})();
