"""Losses of every size: n samples and d coordinates stay symbols."""
