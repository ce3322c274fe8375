// GET /ticks?after=SEQ&hold=20: answered when there is a tick, or with nothing after 20 s.
// Then again, at once.
async function listen() {
  let pause_ms = 0;
  try {
    const answer = await fetch("/ticks" + after("hold=20"));
    const text = await answer.text();
    if (!answer.ok) throw new Error(JSON.parse(text).error);
    take(text);
  } catch (error) {
    say(error instanceof TypeError ? AWAY : error.message);
    pause_ms = 1000;
  }
  setTimeout(listen, pause_ms);
}
