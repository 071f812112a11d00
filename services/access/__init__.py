"""Who may come in: the pure Decider of gateway.access; the gateway itself stands above all roles."""
