// Node's `http` with its defaults: without a length it sends chunks.
import { readFileSync } from "node:fs";
import { request } from "node:http";

const [url, token, ...files] = process.argv.slice(2);

for (const file of files) {
  const status = await new Promise((resolve, reject) => {
    const post = request(url, { method: "POST", headers: { Authorization: token } }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode));
    });
    post.on("error", reject);
    const body = readFileSync(file);
    post.write(body.subarray(0, body.length / 2));
    post.end(body.subarray(body.length / 2));
  });
  console.log(status);
}
