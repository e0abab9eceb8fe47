// The stream of this node's server. Lost, it is opened again, and begins with all there is to know.

const FIRST_PAUSE = 250; // milliseconds, doubled at each failure in a row
const LONGEST_PAUSE = 5000;

export function follow(onFrame, onLoss) {
  let pause = FIRST_PAUSE;

  function open() {
    const socket = new WebSocket(new URL("events", location.href.replace(/^http/, "ws")));
    socket.addEventListener("message", (event) => {
      pause = FIRST_PAUSE;
      onFrame(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      onLoss();
      setTimeout(open, pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    });
  }

  open();
}
