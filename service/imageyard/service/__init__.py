"""What people and machines use: the command line, the pages, the settings, the embedded S3 server."""
