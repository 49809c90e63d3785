"""What the controller's modules share: HTTP, TCP and browser probes. They use packages, but never ccci itself."""
