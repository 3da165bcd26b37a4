#!/usr/bin/env python3
"""test_install.py BUILD: what `cmake --install` lays down is enough to write plugins with.

Installs into a folder of its own, builds plugins against nothing but that folder (C and C++
with pkg-config, C with CMake's find_package), loads them into the installed daemon, and talks to
each."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SECONDS = 60  # for any one step

PLUGIN = """
#include <corod/plugin.h>

static enum co_next serve(struct co_conn *conn)
{
    struct co_bytes line;

    if (co_stream_await_line(conn->stream, 1024, CO_NEVER, &line) < 0)
        return CO_CLOSE;
    if (co_stream_write(conn->stream, "NAME: ", sizeof("NAME: ") - 1) < 0 ||
        co_stream_write(conn->stream, line.data, line.len) < 0)
        co_conn_log(conn, CO_LOG_INFO, "not written");
    return CO_CLOSE;
}

CO_PLUGIN(.name = "NAME", .version = "1.0", .description = "For a test.", .serve = serve);
"""

CMAKE_PROJECT = """
cmake_minimum_required(VERSION 3.22)
project(found LANGUAGES C)
find_package(corod 0.1 REQUIRED)
add_library(found MODULE found.c)
set_target_properties(found PROPERTIES PREFIX "")
target_link_libraries(found PRIVATE corod::corod)
install(TARGETS found LIBRARY DESTINATION ${corod_PLUGIN_DIR})
"""


def run(*command, **environment):
    """Runs a command and gives its output; the test fails with it when the command does."""
    result = subprocess.run([str(word) for word in command], timeout=SECONDS, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, **environment})
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def check(condition, what):
    """One fact that must hold."""
    if not condition:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}", flush=True)


def compilers(build):
    """The C compiler of the build, and the C++ compiler of the same make."""
    cache = (build / "CMakeCache.txt").read_text()
    cc = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache, re.M).group(1)
    folder, name = os.path.split(cc)
    cxx = name.replace("clang", "clang++") if "clang" in name else name.replace("gcc", "g++")
    cxx = shutil.which(os.path.join(folder, cxx)) if cxx != name else None
    return cc, cxx or "c++"


class Install:
    """An installed tree, used by its own files only."""

    def __init__(self, build, prefix):
        self.build, self.prefix = build, prefix
        self.cc, self.cxx = compilers(build)
        run("cmake", "--install", build, "--prefix", prefix)
        pc = list(prefix.glob("**/pkgconfig/corod.pc"))
        check(len(pc) == 1, "one corod.pc")
        self.environment = {"PKG_CONFIG_PATH": str(pc[0].parent)}
        self.plugin_dir = Path(self.pkg_config("--variable=plugindir"))

    def pkg_config(self, *arguments):
        return run("pkg-config", *arguments, "corod", **self.environment).strip()

    def check_files(self):
        """The files that users look for, and an edited config that is left alone."""
        for name in ("bin/corod", "include/corod/plugin.h", "etc/corod/corod.ini",
                     "lib/systemd/system/corod.service"):
            check((self.prefix / name).is_file(), f"{name} is installed")
        for name in ("hello.so", "echo.so"):
            check((self.plugin_dir / name).is_file(), f"plugin {name} is installed")
        config = self.prefix / "etc/corod/corod.ini"
        config.write_text("; mine\n")
        run("cmake", "--install", self.build, "--prefix", self.prefix)
        check(config.read_text() == "; mine\n", "a second install keeps the configuration")

    def compile(self, folder, name, suffix, compiler, *options):
        """One plugin, by hand; gives its path."""
        source = folder / f"{name}.{suffix}"
        source.write_text(PLUGIN.replace("NAME", name))
        target = folder / f"{name}.so"
        run(compiler, *options, "-Wall", "-Wextra", "-shared", "-fPIC", source, "-o", target,
            *self.pkg_config("--cflags", "--libs").split())
        check(target.is_file(), f"{name}: {Path(compiler).name} {' '.join(options)}")
        return target

    def find_package(self, folder):
        """One plugin, by CMake, installed where it says; gives its path."""
        (folder / "found.c").write_text(PLUGIN.replace("NAME", "found"))
        (folder / "CMakeLists.txt").write_text(CMAKE_PROJECT)
        run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_C_COMPILER={self.cc}",
            f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", folder / "build")
        run("cmake", "--install", folder / "build")
        check((self.plugin_dir / "found.so").is_file(), "found: find_package(corod)")

    def build_plugins(self, folder):
        """Name and path of each plugin; the one that was installed goes by its bare name."""
        c = ("-std=c17", "-Wpedantic", "-Werror")
        cxx20 = ("-std=c++20", "-Wpedantic", "-Werror")
        (folder / "cmake").mkdir()
        self.find_package(folder / "cmake")
        return {
            "plain": self.compile(folder, "plain", "c", self.cc, *c),
            "cxx20": self.compile(folder, "cxx20", "cc", self.cxx, *cxx20),
            # Designated initialisers came with C++20; before it they are an extension.
            "cxx17": self.compile(folder, "cxx17", "cc", self.cxx, "-std=c++17"),
            "found": "found",
        }


class Daemon:
    """The installed daemon, with one listener for each plugin on a port of the kernel's."""

    def __init__(self, install, config, plugins):
        text = "[server]\nworkers = 1\n"
        for name, plugin in plugins.items():
            text += (f"[listener:{name}]\naddress = 127.0.0.1:0\nprotocol = p-{name}\n"
                     f"[protocol:p-{name}]\nplugin = {plugin}\n")
        config.write_text(text)
        environment = {**os.environ, "COROD_PLUGIN_PATH": str(install.plugin_dir)}
        self.log = []
        self.ports = {}
        self.process = subprocess.Popen([install.prefix / "bin/corod", "-c", config],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env=environment)
        self.has_started = threading.Event()
        self.reader = threading.Thread(target=self.read_log, args=(len(plugins),))
        self.reader.start()

    def read_log(self, n_listeners):
        """Collects the log until its end, and the ports out of it."""
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listener (\S+): listening on \S+:(\d+)", line)
            if found:
                self.ports[found.group(1)] = int(found.group(2))
                if len(self.ports) == n_listeners:
                    self.has_started.set()
        self.has_started.set()

    def ask(self, name):
        """What the plugin answers."""
        with socket.create_connection(("127.0.0.1", self.ports[name]), SECONDS) as peer:
            peer.settimeout(SECONDS)
            peer.sendall(b"hi\n")
            with peer.makefile("rb") as answer:
                return answer.read().decode()

    def stop(self):
        """Ends it, and gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        return status


def check_daemon(install, folder, plugins):
    """Each plugin is loaded and answers; the daemon ends well."""
    daemon = Daemon(install, folder / "corod.ini", plugins)
    try:
        daemon.has_started.wait(SECONDS)
        check(daemon.ports.keys() == plugins.keys(), "the daemon listens for each plugin")
        for name in plugins:
            answer = daemon.ask(name)
            check(answer == f"{name}: hi", f"{name} answers: {answer!r}")
    finally:
        status = daemon.stop()
        sys.stdout.writelines(daemon.log)
    check(status == 0, "the daemon ends with status 0")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="corod-install-") as name:
        folder = Path(name)
        install = Install(Path(sys.argv[1]).resolve(), folder / "prefix")
        install.check_files()
        work = folder / "work"
        work.mkdir()
        check_daemon(install, work, install.build_plugins(work))


main()
