// Node's `fetch` with its defaults.
import { readFileSync } from "node:fs";

const [url, token, ...files] = process.argv.slice(2);

for (const file of files) {
  const body = readFileSync(file);
  const answer = await fetch(url, { method: "POST", headers: { Authorization: token }, body });
  await answer.arrayBuffer();
  console.log(answer.status);
}
