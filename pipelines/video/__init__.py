"""From a video file to clips: frames with their times, and the text that goes with each.

`cut_video` (isolated.py) is the entry. Only the child process that it starts imports FFmpeg (PyAV).
"""
