// GET /ticks?after=SEQ, once: an answer without end.
// After a cut the browser asks again by itself, with Last-Event-ID.
function listen() {
  const source = new EventSource("/ticks" + after());
  source.onmessage = (event) => take(event.data);
  source.addEventListener("missed", (event) => take(event.data));
  source.onerror = () => {
    say(AWAY);
    if (source.readyState !== EventSource.CLOSED) return;
    say("the server refuses, and a page is not told why; asking again …");
    setTimeout(listen, 1000); // EventSource has given up: now coming back is our business
  };
}
