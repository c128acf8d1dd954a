"""The poster's last panel, computed."""
