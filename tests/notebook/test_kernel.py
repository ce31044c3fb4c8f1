"""The magic in a real kernel: what reaches a front end, and an interrupt."""

from __future__ import annotations

import time

import pytest
from jupyter_client.manager import KernelManager

from kernelkit import progress
from kernelkit.notebook.bundle import RESULT_MIME

CELL = """%%backtest --data synthetic_minute -p fast={fast} -p slow=210:309:1 --into res
def crossing(ctx, fast, slow):
    if ctx.close.sma(fast) > ctx.close.sma(slow):
        ctx.target_percent(1.0)
    else:
        ctx.target_percent(0.0)
"""


class Kernel:
    """A kernel and its messages."""

    def __init__(self, folder):
        # over files and not TCP, which newer kernels warn about
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/k")
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def messages(self, code, on_message=lambda message: None, timeout=300.0):
        """The messages of a cell until it is done, oldest first, and its reply."""
        sent = self.client.execute(code)
        found, end = [], time.monotonic() + timeout
        while time.monotonic() < end:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found, self.reply(sent, timeout)
            found.append(message)
            on_message(message)
        raise TimeoutError(code)

    def reply(self, sent, timeout):
        while (message := self.client.get_shell_msg(timeout=timeout))["parent_header"].get("msg_id") != sent:
            pass
        return message["content"]

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.client.context.destroy()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    import tempfile

    # the path of a socket is short
    with tempfile.TemporaryDirectory(prefix="kk-", dir="/tmp") as folder:
        kernel = Kernel(folder)
        _, reply = kernel.messages("%load_ext kernelkit")
        assert reply["status"] == "ok", reply
        yield kernel
        kernel.stop()


def data(messages, mime):
    return [m["content"]["data"][mime] for m in messages if mime in m["content"].get("data", {})]


def test_kernel__a_result_arrives_as_a_bundle(kernel):
    messages, reply = kernel.messages(CELL.format(fast="10,20"))
    assert reply["status"] == "ok", reply
    shown = [m for m in messages if RESULT_MIME in m["content"].get("data", {})]
    assert len(shown) == 1
    assert shown[0]["content"]["data"][RESULT_MIME]["n_trials"] == 200


def test_kernel__progress_is_one_display_below_its_cell_and_an_interrupt_keeps_what_is_done(kernel):
    stopped = []

    def stop(message):
        # the second event: by then every trial has been handed to a thread
        shown = message["content"].get("data", {})
        if message["msg_type"] == "update_display_data" and progress.MIME in shown and not stopped:
            stopped.append(shown[progress.MIME])
            kernel.manager.interrupt_kernel()

    # on a fast machine nothing takes long
    kernel.messages("from kernelkit.notebook import live\nlive.QUIET_S = 0.0")
    messages, reply = kernel.messages(CELL.format(fast="2:81:1"), stop)
    assert reply["status"] == "ok", "\n".join(reply["traceback"])
    assert stopped
    kinds = [m["msg_type"] for m in messages if progress.MIME in m["content"].get("data", {})]
    assert kinds[0] == "display_data"
    assert set(kinds[1:]) <= {"update_display_data"}
    assert any(text.startswith("interrupted: ") for text in data(messages, "text/plain"))
    assert 0 < data(messages, RESULT_MIME)[0]["n_trials"] < 8000


def test_kernel__what_was_done_by_the_interrupt_comes_from_the_cache(kernel):
    stopped = []

    def stop(message):
        shown = message["content"].get("data", {}).get(progress.MIME, {})
        if message["msg_type"] == "update_display_data" and shown.get("done", 0) > 0 and not stopped:
            stopped.append(message)
            kernel.manager.interrupt_kernel()

    kernel.messages("from kernelkit.notebook import live\nlive.QUIET_S = 0.0")
    messages, _ = kernel.messages(CELL.format(fast="82:121:1"), stop)
    done = data(messages, RESULT_MIME)[0]["n_trials"]
    assert 0 < done < 4000
    messages, reply = kernel.messages("%backtest --repeat")
    assert reply["status"] == "ok", reply
    assert any(text.startswith(f"from the cache: {done} of 4,000 trials") for text in data(messages, "text/plain"))
    assert data(messages, RESULT_MIME)[0]["n_trials"] == 4000


def test_kernel__a_mistake_is_an_error_of_one_line(kernel):
    messages, reply = kernel.messages("%%backtest --data sp500\ndef f(ctx):\n    pass")
    errors = [m["content"] for m in messages if m["msg_type"] == "error"]
    assert reply["status"] == "error"
    assert len(errors) == 1
    assert errors[0]["ename"] == "UsageError"
    assert len(errors[0]["traceback"]) == 1
    assert "did you mean 'sp500_index'?" in errors[0]["traceback"][0]


def test_kernel__a_strategy_that_cannot_be_compiled_names_its_cell(kernel):
    messages, _ = kernel.messages("%%backtest --data sp500_index\ndef f(ctx):\n    x = [1, 2]")
    error = next(m["content"] for m in messages if m["msg_type"] == "error")
    assert "line 3, in f" in error["evalue"]
    assert error["evalue"].startswith("Cell In[")
