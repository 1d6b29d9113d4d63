"""The drop-folder watcher: events and listings decide when a dataset's recipe runs on what arrived."""
