const AWAY = "the server is away; asking again …";
const ROWS = 10, LONGEST_SHOWN = 600;
const at = (id) => document.getElementById(id);
let cursor = null; // seq of the newest tick held; null before any
let received = 0, gone = 0, twice = 0;
let newest = [], message = "", drawn = true;

function after(...more) {
  const query = cursor === null ? more : [`after=${cursor}`, ...more];
  return query.length ? "?" + query.join("&") : "";
}

function take(text) { // a message: an array of ticks, or what the server says beside them
  const said = JSON.parse(text);
  for (const tick of Array.isArray(said) ? said : []) {
    if (cursor !== null && tick.seq <= cursor) { twice += 1; continue; }
    if (cursor !== null) gone += tick.seq - cursor - 1;
    cursor = tick.seq;
    received += 1;
    newest = [tick, ...newest].slice(0, ROWS);
  }
  message = text;
  say("live");
  if (drawn) requestAnimationFrame(draw); // however many messages come, drawn once for each picture
  drawn = false;
}

function say(sentence) { // only news: a screen reader reads it out
  if (at("status").textContent !== sentence) at("status").textContent = sentence;
}

function draw() {
  drawn = true;
  if (at("pause").ariaPressed === "true") return;
  at("received").textContent = received;
  at("gone").textContent = gone;
  at("twice").textContent = twice;
  at("message").textContent =
    message.length > LONGEST_SHOWN ? `${message.slice(0, LONGEST_SHOWN)} … (${message.length} characters)` : message;
  at("ticks").replaceChildren(...newest.map((tick) => {
    const row = document.createElement("tr");
    for (const value of [tick.seq, tick.symbol, tick.price.toFixed(2)]) row.insertCell().textContent = value;
    return row;
  }));
}

at("pause").onclick = () => {
  at("pause").ariaPressed = at("pause").ariaPressed === "true" ? "false" : "true";
  draw();
};
listen();
