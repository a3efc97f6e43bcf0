"""What every measurement shares: environments, interleaved rounds, figures and the table."""
