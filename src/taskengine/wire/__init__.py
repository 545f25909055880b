"""What crosses a process boundary: the shapes of executions, tasks and events, the same for command line, REST and sockets."""
