"""How an installation is seen from outside: figures, metrics, logs, traces, and a doctor."""
