"""What is kept and what flows: heartbeats, restarts, events, renders, streams of inputs."""
