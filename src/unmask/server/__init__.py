"""The web app and the API: one port, worker processes that judge, nothing stored (docs/server.md).

request ──► guard ──► api ──► desk ──► pool ──► worker        (a process: `Detector.scan`, limits of memory and time)
                               ▲                  │
                         progress, result ◄───────┘           JSON and bytes over a pipe, nothing that can run
"""
