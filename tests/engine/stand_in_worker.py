"""Answers as the real worker does; what it does with a job is in the job's `uses`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

done = {"digest": "d", "model": None, "files": {}, "removed": [], "config_reads": ["fps"], "reads": {}, "programs": {}}
done |= {"unsure": [], "unseen": [], "differs": [], "seconds": 1.0, "warm_up": 0.0, "peak_memory": 0}
done["metrics"] = {"pid": os.getpid(), "args": sys.argv[1:]}
failed = {"type": "ValueError", "message": "no", "hint": None, "invalid_settings": []}
asked = []
for line in sys.stdin:
    request = json.loads(line)
    asked.append([request["op"], request.get("reference"), request["log"]])
    answer = {"ok": True}
    if request["op"] == "catalog":
        if request["known"].get("dies"):
            os._exit(4)
        fine = not request["known"].get("fails")
        answer = {"ok": fine, "result": request["known"] if fine else failed}
    if request["op"] == "run":
        uses = request["job"]["uses"]
        if uses == "killed":
            os.kill(os.getpid(), 9)
        if uses == "exits":
            os._exit(3)
        if uses == "hangs":
            child = subprocess.Popen(["sleep", "3600"])
            Path(request["log"]).write_text(f"{child.pid}.")
            time.sleep(3600)
        if uses == "forks":  # the child holds the pipes, in a session of its own, and says when it is there
            if os.fork() == 0:
                os.setsid()
                Path(request["log"]).write_text(f"{os.getpid()}.")
                time.sleep(3600)
            while not Path(request["log"]).exists() or not Path(request["log"]).read_text().endswith("."):
                time.sleep(0.01)
            os.write(1, b'{"half of an ans')
            os.kill(os.getpid(), 9)
        if uses == "errs":
            Path(request["log"]).write_text("ERROR: [Synth 8-439] module not found\n")
            os._exit(3)
        done["metrics"]["asked"] = asked
        answer = {"ok": uses != "fails", "result": done if uses != "fails" else failed}
    print(json.dumps(answer), flush=True)
