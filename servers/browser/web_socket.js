// A handshake at /ticks?after=SEQ, once; then the server writes each tick as it comes.
// After a cut, coming back is our business.
function listen() {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/ticks" + after());
  socket.onmessage = (event) => take(event.data);
  socket.onclose = (event) => {
    say(event.reason || AWAY);
    setTimeout(listen, 1000);
  };
}
