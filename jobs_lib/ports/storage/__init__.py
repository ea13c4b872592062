"""Where archives are kept: a folder, or a server that speaks FTP over TLS."""
