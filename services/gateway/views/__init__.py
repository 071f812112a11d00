"""What the gateway answers reads from: folds of the log that are kept up to date in memory."""
