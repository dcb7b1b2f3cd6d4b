module slipway.test/standins

go 1.19
