import time
def test_x(planted):
    from forethought.router import fit_router
    import numpy as np
    Y=planted.data.success
    print(np.nanmean(Y,0), np.isnan(Y).mean(0))
    t=time.process_time()
    f=fit_router(planted.data, planted.config, planted.prices, say=print)
    print(time.process_time()-t)
    print(f.certified.summary()); print({k:v.shared for k,v in f.layers.items()})
    for h in ("logistic","trunk"):
        t=time.process_time()
        f=fit_router(planted.data, planted.config.model_copy(update={"head":h}), planted.prices)
        print(h,time.process_time()-t, f.certified.summary()["verdict"], f.certified.summary()["policy"], f.certified.summary()["setting"])
