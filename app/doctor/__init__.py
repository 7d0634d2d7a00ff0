"""What `tapedeck doctor` examines, a module for each thing it looks at. Nothing here changes the installation."""
