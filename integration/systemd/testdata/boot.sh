#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# boot.sh ROOT CGROUP: is process 1 of new namespaces, and becomes systemd with
# the root file system in the folder ROOT, in a control group CGROUP of its own in
# each hierarchy. All mounts are in this mount namespace, and end with it.
set -euo pipefail
root=$1 group=$2

if [[ ${3:-} != joined ]]; then
  while read -r _ at type _; do
    [[ $at == /sys/fs/cgroup* && $type == cgroup* ]] || continue
    mkdir -p "$at/$group"
    for file in cpuset.cpus cpuset.mems; do # empty in a new group of version 1
      [[ $type != cgroup || ! -e $at/$file ]] || cat "$at/$file" >"$at/$group/$file"
    done
    echo 0 >"$at/$group/cgroup.procs"
  done </proc/mounts
  exec unshare --cgroup -- "$0" "$root" "$group" joined
fi

mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
if [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  while read -r _ at type options _; do
    [[ $at == /sys/fs/cgroup* && $type == cgroup* ]] || continue
    name=${at##*/}
    mkdir "sys/fs/cgroup/$name"
    case $type,$options in
      cgroup2,*) mount -t cgroup2 cgroup2 "sys/fs/cgroup/$name" ;;
      *name=systemd*) mount -t cgroup -o none,name=systemd cgroup "sys/fs/cgroup/$name" ;;
      *) mount -t cgroup -o "$name" cgroup "sys/fs/cgroup/$name" ;;
    esac
  done </proc/mounts
fi
# This machine's settings are not the guest's.
mount -o remount,bind,ro proc/sys
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in null zero full random urandom tty; do cp -a "/dev/$name" "dev/$name"; done
: >dev/console
ip link set lo up
hostname plomb-systemd
mkdir -p .old
pivot_root . .old
# shellcheck disable=SC2016
exec env -i container=plomb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  chroot . /bin/sh -c 'umount -l /.old && rmdir /.old && exec /lib/systemd/systemd --log-target=journal'
