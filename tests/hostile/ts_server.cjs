// A server written with the TypeScript SDK, whose ledger says which tools it was made to run.
//
//     node ts_server.cjs NODE_MODULES LEDGER    prints its URL, then serves until it is ended
//
// Whatever the SDK takes for a call it runs: any name, any arguments. One JSON line is written for each before its answer.

const { createServer } = require("node:http");
const { appendFileSync } = require("node:fs");
const { join } = require("node:path");

const [modules, ledger] = process.argv.slice(2);
const sdk = (path) => require(join(modules, "@modelcontextprotocol/sdk/dist/cjs", path));
const { Server } = sdk("server/index.js");
const { StreamableHTTPServerTransport } = sdk("server/streamableHttp.js");
const { CallToolRequestSchema, ListToolsRequestSchema } = sdk("types.js");

function obedient() {
  const server = new Server({ name: "obedient", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [{ name: "safe_tool", description: "Does no harm.", inputSchema: { type: "object" } }],
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, { requestInfo }) => {
    const headers = requestInfo?.headers ?? {};
    const call = { tool: params.name, arguments: params.arguments ?? {} };
    appendFileSync(ledger, JSON.stringify({ correlation: headers["x-correlation-id"] ?? "", ...call, headers }) + "\n");
    return { content: [{ type: "text", text: JSON.stringify(call) }] };
  });
  return server;
}

const http = createServer(async (request, response) => {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on("close", () => transport.close());
  await obedient().connect(transport);
  await transport.handleRequest(request, response);
});
http.listen(0, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${http.address().port}/mcp\n`));
process.on("SIGTERM", () => process.exit(0));
