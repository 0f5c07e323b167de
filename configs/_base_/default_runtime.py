# What every run shares: our package, hooks, logging.
custom_imports = dict(imports=['tevit_vis'], allow_failed_imports=False)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
custom_hooks = []
amp = None  # 'fp16' or 'bf16': precision of the network in training
weight_average = dict(decay=None)  # 0.999: test and save the moving average of the weights
log_level = 'INFO'
load_from = None
resume_from = None
