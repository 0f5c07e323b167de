# What every run shares: our package, hooks, logging, where checkpoints go.
custom_imports = dict(imports=['tevit_vis'], allow_failed_imports=False)
checkpoint_config = dict(interval=770)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
custom_hooks = [dict(type='NumClassCheckHook')]
dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]
opencv_num_threads = 0
mp_start_method = 'fork'
