// A WebSocket echo for tests, with the npm package `ws`.
//
// Usage: node ws-echo.mjs [PORT] [HOST]      (default 3000, 127.0.0.1)
//
// Every message comes back as it was, text as text and binary as binary. A plain request is
// answered with 426, so that a test can tell "not there yet" from "there, and wants an upgrade".

import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2] ?? 3000);
const host = process.argv[3] ?? "127.0.0.1";

const server = createServer((_request, response) => {
  response.writeHead(426, { "Content-Type": "text/plain", Upgrade: "websocket" });
  response.end("this is a WebSocket echo\n");
});
const echo = new WebSocketServer({ server });

echo.on("connection", (socket, request) => {
  console.log(`connected ${request.url}`);
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("error", (why) => console.log(`closed: ${why.message}`));
});

server.listen(port, host, () => console.log(`listening on ${host}:${server.address().port}`));
