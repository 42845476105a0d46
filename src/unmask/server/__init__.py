"""The web app and the API: one port, worker processes that judge, nothing stored (docs/server.md).

request ──► middleware ──► routes ──► jobs ──► workers ──► worker  (a process with limits)
                                      ▲                   │
                                progress, result ◄────────┘   (JSON and bytes over a pipe)
"""
