_base_ = './tevit_msgshift.py'

amp = 'bf16'
