"""A process that touches known ranges of its memory at known rates, and writes down what it touched.

It is the ground truth of the demo, of the live tests and of the benchmarks::

    hot = Sweep(offset=64 << 20, length=32 << 20, period_us=1_000)
    with Workload([Area("a", size=256 << 20, patterns=(hot,))]) as workload:
        time.sleep(1)
        print(workload.pid, workload.areas["a"].start, workload.log.intervals())

Or by hand, where something else is to start it: ``python -m vadamon.workload LOG SPEC``, with the `spec_to_json` of the
areas, and then ``Log.open(LOG)``.
"""

from vadamon.workload.log import Interval as Interval
from vadamon.workload.log import Log as Log
from vadamon.workload.log import PlacedArea as PlacedArea
from vadamon.workload.process import Workload as Workload
from vadamon.workload.spec import Area as Area
from vadamon.workload.spec import Pattern as Pattern
from vadamon.workload.spec import Random as Random
from vadamon.workload.spec import Stream as Stream
from vadamon.workload.spec import Sweep as Sweep
from vadamon.workload.spec import spec_to_json as spec_to_json

__all__ = ["Area", "Interval", "Log", "Pattern", "PlacedArea", "Random", "Stream", "Sweep", "Workload", "spec_to_json"]
