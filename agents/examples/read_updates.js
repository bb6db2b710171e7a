// Reads every revision of a project's ledger from the stream `updates.log`, in order and verified.
//
//   npm install
//   node read_updates.js --host sn1.example.org --vhost nm.demo \
//     --ca ca.pem --certificate me.pem --key me.key [--address 127.0.0.1] [--port 5671] [--until 12]
//
// It knows nothing of nm-bus but the schemas: each message is a CloudEvent whose data is an
// `update`. The stream may repeat revisions; a gap or a head that does not fit ends the reading,
// with exit code 1. Prints one JSON line for each revision.

"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");

const Ajv = require("ajv/dist/2020");
const amqp = require("amqplib");

const SCHEMAS = path.join(__dirname, "..", "..", "schemas");
const TYPE = "nm.update.v1";

const options = parseArgs({
  options: {
    host: { type: "string" },
    address: { type: "string" },
    port: { type: "string", default: "5671" },
    vhost: { type: "string" },
    ca: { type: "string" },
    certificate: { type: "string" },
    key: { type: "string" },
    schemas: { type: "string", default: SCHEMAS },
    until: { type: "string", default: "0" },
  },
}).values;

/** The validator of an update, which other schemas define parts of. */
function validatorOf(folder) {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const name of fs.readdirSync(folder)) {
    const file = path.join(folder, name, "v1.json");
    if (fs.existsSync(file)) ajv.addSchema(JSON.parse(fs.readFileSync(file)));
  }
  return ajv.getSchema("https://nm-bus.example/schemas/update/v1.json");
}

/** The canonical form: JSON without spaces, the names of an object in the order of their bytes. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

/** The head after a revision. */
function headOf(update) {
  const { previous, revision, time, digest, change } = update;
  const link = `${previous}\n${revision}\n${time}\n${digest}\n${canonical(change)}`;
  return crypto.createHash("sha256").update(link, "utf8").digest("hex");
}

/** What is wrong with the next update, or nothing. The first one is believed. */
function flawOf(update, last) {
  if (last && update.revision !== last.revision + 1) return "a revision is missing before it";
  if (last && update.previous !== last.head) return "it does not follow the revision before it";
  return headOf(update) === update.head ? "" : "its hash is not right";
}

async function main() {
  const valid = validatorOf(options.schemas);
  const connection = await amqp.connect(
    {
      protocol: "amqps",
      hostname: options.address ?? options.host,
      port: Number(options.port),
      vhost: options.vhost,
      heartbeat: 10,
    },
    {
      ca: [fs.readFileSync(options.ca)],
      cert: fs.readFileSync(options.certificate),
      key: fs.readFileSync(options.key),
      servername: options.host,
      credentials: amqp.credentials.external(),
    },
  );
  connection.on("error", fail);
  connection.on("close", () => fail(new Error("the connection was closed")));
  const channel = await connection.createChannel();
  await channel.prefetch(100);

  let last = null;
  await channel.consume(
    "updates.log",
    (message) => {
      const event = JSON.parse(message.content.toString("utf8"));
      channel.ack(message);
      if (event.type !== TYPE || !valid(event.data)) {
        fail(new Error(`no update: ${event.type} ${JSON.stringify(valid.errors)}`));
      }
      const update = event.data;
      if (last && update.revision <= last.revision) return;
      const flaw = flawOf(update, last);
      if (flaw) fail(new Error(`revision ${update.revision}: ${flaw}`));
      last = update;
      const { kind, key, actor } = update.change;
      console.log(JSON.stringify({ revision: update.revision, kind, key, actor, head: update.head }));
      if (update.revision === Number(options.until)) process.exit(0);
    },
    { arguments: { "x-stream-offset": "first" } },
  );
}

function fail(error) {
  console.error(`read_updates: ${error.message}`);
  process.exit(1);
}

main().catch(fail);
