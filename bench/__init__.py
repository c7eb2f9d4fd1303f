"""Speed, as ratios to two ceilings that are measured in the same run on the same machine."""
