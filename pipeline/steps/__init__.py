"""The steps of a build: what they do with records, whatever the modality. `pipeline.run` has them in order.

A module has the name of its step and two halves. On a worker, a task reads the files of one partition (or of a range, or of several),
writes its own, and leaves a marker with counts (`pipeline.core.tasks.resumable`): where the marker exists, the task is done. On the
driver, `run` hands the tasks to the engine and returns counts, seconds and warnings: `Measured`, `Decided`, `Deduplicated`, `Written`.
Records never pass between the two, only paths and counts.
"""
