"""Notices of the system that something changes in a folder.

They are a hint that saves time, never what correctness rests on: they get lost, and a system may
have none left to give. So whoever uses them also looks now and then.
"""

from collections.abc import Callable
from pathlib import Path

CHANGES = frozenset({"created", "modified", "moved", "closed"})
"""What happens to files that are written or moved. Who only reads one changes nothing."""


def begin_notices(
    folder: Path,
    notice: Callable[[], None],
    *,
    of: frozenset[str] = CHANGES,
    beneath: bool = False,
) -> Callable[[], None]:
    """Call `notice`, from another thread, when one `of` these events happens in a folder, or also
    `beneath` it; gives the way to end that. Raises OSError where the system has no watches left."""
    # Imported here: an agent without such a folder does not pay for it.
    from watchdog.events import FileSystemEvent, FileSystemEventHandler  # noqa: PLC0415
    from watchdog.observers import Observer  # noqa: PLC0415

    class Notice(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type in of:
                notice()

    observer = Observer()
    observer.schedule(Notice(), str(folder), recursive=beneath)
    observer.start()

    def end() -> None:
        observer.stop()
        observer.join(1.0)

    return end
