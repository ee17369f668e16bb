// A destination for Forebay: verifies, handles each event once, and answers. Node 18, no packages.
//
// FOREBAY_SECRET=whsec_... node handler.mjs 8000

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const KEY = Buffer.from(process.env.FOREBAY_SECRET.replace(/^whsec_/, ""), "base64");
const TOLERANCE_SECONDS = 300;
const MOST_BYTES = 8 * 1024 * 1024;
const REMEMBERED = 100_000; // ids; events come again within minutes, if at all

// Do your work here. Throw, and the event comes again later.
async function handle(event) {
  const { id, type, itemtype, subject } = event;
  console.log(JSON.stringify({ id, type, itemtype, subject }));
}

// Which events were handled. Several processes need one table with a unique key instead.
const done = new Set();
const busy = new Set();

// Handles an event unless it was; false where another request is at it just now.
async function once(event) {
  if (done.has(event.id)) return true;
  if (busy.has(event.id)) return false;
  busy.add(event.id);
  try {
    await handle(event);
    done.add(event.id); // only now: what failed has to come again
    if (done.size > REMEMBERED) done.delete(done.values().next().value);
  } finally {
    busy.delete(event.id);
  }
  return true;
}

// Standard Webhooks: one of the signatures has to be ours.
function isSigned(headers, body) {
  const ours = createHmac("sha256", KEY)
    .update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`)
    .update(body)
    .digest();
  return (headers["webhook-signature"] ?? "").split(" ").some((each) => {
    const given = each.startsWith("v1,") ? Buffer.from(each.slice(3), "base64") : Buffer.alloc(0);
    return given.length === ours.length && timingSafeEqual(given, ours);
  });
}

async function answerTo(headers, body) {
  if (!isSigned(headers, body)) return 401; // Forebay sends nothing more until the secret is put right
  const age = Date.now() / 1000 - Number(headers["webhook-timestamp"]);
  // Recorded and sent again, or a clock is wrong: no reason to stop for good.
  if (!(Math.abs(age) <= TOLERANCE_SECONDS)) return 408;
  let events;
  try {
    const posted = JSON.parse(body);
    events = Array.isArray(posted) ? posted : [posted];
    if (!events.every((event) => typeof event?.id === "string")) return 400;
  } catch {
    return 400; // becomes a dead letter
  }
  try {
    let all = true;
    for (const event of events) all = (await once(event)) && all;
    return all ? 204 : 503;
  } catch (error) {
    console.error("failed:", error); // whatever it is, the event has to come again
    return 500;
  }
}

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end();
  if (request.method !== "POST") return answer(405);
  const parts = [];
  let length = 0;
  try {
    // The signature is of the bytes: read them before anything parses them.
    for await (const part of request) {
      length += part.length;
      if (length > MOST_BYTES) return answer(413);
      parts.push(part);
    }
  } catch {
    return request.destroy();
  }
  answer(await answerTo(request.headers, Buffer.concat(parts)));
});
server.keepAliveTimeout = 30_000; // Forebay keeps connections for 15 s, Node for 5
server.listen(Number(process.argv[2]));
