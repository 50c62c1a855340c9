import asyncio, sys, tempfile, json
from dataclasses import asdict
from pathlib import Path
import uvloop
from tests.soak.calls import *
from tests.soak.calls import Plan
async def main(n, out):
    with tempfile.TemporaryDirectory() as folder:
        plan = SHORT if n <= 10000 else Plan(n, 100_000, 10*MIB, 20_000)
        f = open(out,'w')
        def tell(p):
            f.write(json.dumps(asdict(p))+"\n"); f.flush()
        points, faults = await soak(SoakSite(Path(folder)), plan, tell)
        print(table(points)); print(growth(points, plan)/MIB, faults, flush=True)
uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
