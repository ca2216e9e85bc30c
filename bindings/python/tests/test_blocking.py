"""What only the blocking twin has: timeouts, and threads that meet in one stream."""

import concurrent.futures

import pytest
import wsstream
import wsstream.sync


@pytest.mark.parametrize("seconds", [-0.001, -10, 0])
@pytest.mark.parametrize("place", ["main_thread", "thread"])
def test_a_time_that_is_over_waits_for_nothing(server, place, seconds):
    with wsstream.sync.WebSocketStream(server + "/echo") as ws:
        calls = [ws.readable.read, ws.readable.read_many, lambda timeout: ws.readable.read_some(1, timeout), ws.closed]

        def wait():
            for call in calls:
                with pytest.raises(TimeoutError):
                    call(timeout=seconds)

        if place == "main_thread":
            wait()
        else:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(wait).result()
        ws.writable.write("x", timeout=seconds)
        assert ws.readable.read() == "x"
