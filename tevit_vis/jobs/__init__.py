"""What the larger subcommands do. They import torch, so ``commands`` imports them when it runs."""
