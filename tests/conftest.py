"""What holds for every test: no model hub, whatever the environment says."""

import os

# Before anything imports huggingface_hub, which reads it once; child processes inherit it.
os.environ["HF_HUB_OFFLINE"] = "1"
