// GET /ticks?after=SEQ, again and again: each second, or at once where more is waiting.
async function listen() {
  let more = false;
  try {
    const answer = await fetch("/ticks" + after());
    const text = await answer.text();
    if (!answer.ok) throw new Error(JSON.parse(text).error);
    take(text);
    more = answer.headers.has("Ticks-Waiting");
  } catch (error) {
    say(error instanceof TypeError ? AWAY : error.message);
  }
  setTimeout(listen, more ? 0 : 1000);
}
