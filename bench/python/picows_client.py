"""The client of picows, which has no calls to receive: what is done next is done in its callback."""
import asyncio
import ssl
import time

import picows


class Listener(picows.WSListener):
    """Counts and checks frames, each a whole message here, and does the next step of the work behind each."""

    def __init__(self, work):
        self.work, self.left, self.warm, self.begun = work, 0, 0, 0
        self.done = asyncio.get_running_loop().create_future()
        self.room = asyncio.Event()
        self.room.set()
        self.step = {"echo": self.echo, "pipeline": self.count_window, "receive": self.count, "send": self.answer}[work.name]

    def on_ws_connected(self, transport):
        self.transport = transport

    def pause_writing(self):
        self.room.clear()

    def resume_writing(self):
        self.room.set()

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.BINARY or frame.msg_type == picows.WSMsgType.TEXT:
            self.step(frame.get_payload_as_memoryview())

    def send(self):
        self.transport.send(picows.WSMsgType.BINARY, self.work.payload)

    def echo(self, message):
        work = self.work
        work.check(message)
        if self.warm:
            self.warm -= 1
            if not self.warm:
                work.begin()
        else:
            work.latencies.append(time.perf_counter_ns() - self.begun)
            self.left -= 1
            if not self.left:
                work.end()
                self.done.set_result(None)
                return
        self.begun = time.perf_counter_ns()
        self.send()

    def count(self, message):
        self.work.check(message)
        self.left -= 1
        if not self.left:
            self.work.end()
            self.done.set_result(None)

    def count_window(self, message):
        self.work.check(message)
        self.left -= 1
        if not self.left:
            self.work.end()
            self.done.set_result(None)
        elif (self.work.count - self.left) % self.work.window == 0:
            self.send_window()

    def send_window(self):
        for _ in range(min(self.left, self.work.window)):
            self.send()

    def answer(self, message):
        self.work.check_answer(message)
        self.work.end()
        self.done.set_result(None)

    async def run(self):
        work, self.left = self.work, self.work.count
        if work.name == "echo":
            self.warm = max(work.count // 10, 1)
            self.send()
        elif work.name == "receive":
            self.send()
            work.begin()
        elif work.name == "pipeline":
            work.begin()
            self.send_window()
        else:
            work.begin()
            for _ in range(work.count):
                if not self.room.is_set():
                    await self.room.wait()
                self.send()
        await self.done


async def run(work):
    work.version = f"picows/{picows.__version__}"
    context = ssl.create_default_context(cafile=work.ca) if work.ca else None
    transport, listener = await picows.ws_connect(lambda: Listener(work), work.url, ssl_context=context)
    await listener.run()
    transport.send_close(picows.WSCloseCode.OK)
    await transport.wait_disconnected()
