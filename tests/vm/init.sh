#!/bin/busybox sh
# The first process of a guest: lay the fresh files over the root file system, run the command in it, and hand back
# what it said, its exit status and the files that it left in $VADAMON_RESULTS.
/bin/busybox mkdir -p /proc /sys /dev /root /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for i in $(seq 100); do [ -b /dev/nvme0n1 ] && break; usleep 50000; done
mount -t ext4 -o noatime /dev/nvme0n1 /root || poweroff -f
tar -x -f /fresh.tar -C /root
cp /command /root/
cd /root
for name in proc sys dev; do mount --move /$name /root/$name; done
chmod 1777 tmp var/tmp
mount -t tmpfs run /root/run
mkdir -p dev/shm dev/pts run/results
mount -t tmpfs shm dev/shm
mount -t devpts pts dev/pts 2>/dev/null
mount -t debugfs debug sys/kernel/debug 2>/dev/null
mount -t tracefs tracing sys/kernel/tracing 2>/dev/null
mkdir -p bin && chroot . /bin/busybox --install -s
hostname guest

for port in ttyS1 ttyS2; do stty -F dev/$port raw -echo; done
# No test that runs here needs the plugin, and it takes a guest seconds to load.
env -i PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root TERM=dumb VADAMON_RESULTS=/run/results PYTHONUNBUFFERED=1 \
    PYTEST_ADDOPTS="-p no:hypothesispytest" chroot . /bin/sh /command > dev/ttyS1 2>&1
echo $? > run/results/status
tar -c -f dev/ttyS2 -C run/results .
poweroff -f
