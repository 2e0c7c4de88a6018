# fish completion for kctl
complete -c kctl -f
complete -c kctl -l socket -r -F -d 'Unix socket of kcored'
complete -c kctl -s o -l output -x -a 'table wide json yaml name' -d 'Output format'
complete -c kctl -l help -d 'Show help'
complete -c kctl -n __fish_use_subcommand -l version -d 'Show version'
complete -c kctl -n __fish_use_subcommand -a 'create get describe delete attach detach move network node cluster discover status doctor plan events version completion'
function __kctl_kind
    set -l words (commandline -opc)
    test (count $words) -ge 3; and test $words[2] = $argv[1]; and string match -q -- "$argv[2]*" $words[3]
end
function __kctl_bare
    set -l words (commandline -opc)
    test (count $words) -eq 2; and test $words[2] = $argv[1]
end
complete -c kctl -n '__kctl_bare create' -a network
complete -c kctl -n '__kctl_bare get' -a 'networks nodes nics ips'
complete -c kctl -n '__kctl_bare describe' -a 'network node'
complete -c kctl -n '__kctl_bare delete' -a network
complete -c kctl -n '__kctl_bare attach' -a nic
complete -c kctl -n '__kctl_bare detach' -a nic
complete -c kctl -n '__kctl_bare move' -a nic
complete -c kctl -n '__kctl_bare network' -a 'reclaim release-orphans'
for what in reclaim release-orphans
    complete -c kctl -n "__kctl_kind network $what" -a '(kctl get networks -o name 2>/dev/null)'
end
complete -c kctl -n '__kctl_kind network release-orphans' -l ip -x
complete -c kctl -n '__kctl_bare node' -a 'drain leave remove reset rotate-wireguard-key'
complete -c kctl -n '__kctl_kind node drain' -l undo
for what in leave remove reset
    complete -c kctl -n "__kctl_kind node $what" -l force
end
complete -c kctl -n '__kctl_kind node remove' -a '(kctl get nodes -o name 2>/dev/null)'
complete -c kctl -n '__kctl_kind node reset' -l forget-key
complete -c kctl -n '__kctl_bare cluster' -a 'status transfer-leader recover-finalize keys rotate-key token join'
complete -c kctl -n '__kctl_kind cluster transfer-leader' -a '(kctl get nodes -o name 2>/dev/null)'
complete -c kctl -n '__kctl_kind cluster rotate-key' -l retire-after -x
complete -c kctl -n '__kctl_bare completion' -a 'bash zsh fish'
for flag in external-ip gateway-ip internal-netmask vlan-id uplink publish exclude emergency-reserve timeout
    complete -c kctl -n '__kctl_kind create network' -l $flag -x
end
complete -c kctl -n '__kctl_kind create network' -l type -x -a 'nat bridge vxlan'
complete -c kctl -n '__kctl_kind create network' -l encryption -x -a 'none wireguard'
complete -c kctl -n '__kctl_kind create network' -l address-reuse -x -a 'never quarantine'
complete -c kctl -n '__kctl_kind create network' -l enable-outbound-nat
complete -c kctl -n '__kctl_kind create network' -l no-outbound-nat
complete -c kctl -n '__kctl_kind create network' -l wait
for verb in create describe delete
    complete -c kctl -n "__kctl_kind $verb network" -l target-node -x -a '(kctl get nodes -o name 2>/dev/null)'
end
for verb in describe delete
    complete -c kctl -n "__kctl_kind $verb network" -a '(kctl get networks -o name 2>/dev/null)'
end
complete -c kctl -n '__kctl_kind describe node' -a '(kctl get nodes -o name 2>/dev/null)'
complete -c kctl -n '__kctl_kind get network' -l all
for verb in get attach detach move
    complete -c kctl -n "__kctl_kind $verb nic" -l network -x -a '(kctl get networks -o name 2>/dev/null)'
end
complete -c kctl -n '__kctl_kind get ip' -l network -x -a '(kctl get networks -o name 2>/dev/null)'
complete -c kctl -n '__kctl_kind get ip' -l local
complete -c kctl -n '__kctl_kind attach nic' -l netns -r
for flag in ifname ip mac
    complete -c kctl -n '__kctl_kind attach nic' -l $flag -x
end
complete -c kctl -n '__kctl_kind attach nic' -l allow-spoofing
complete -c kctl -n '__kctl_kind move nic' -a '(kctl get nics -o name 2>/dev/null)'
complete -c kctl -n '__kctl_kind move nic' -l to -x -a '(kctl get nodes -o name 2>/dev/null)'
complete -c kctl -n '__kctl_kind move nic' -l netns -r
complete -c kctl -n '__kctl_kind move nic' -l ifname -x
for flag in prepare complete abort force
    complete -c kctl -n '__kctl_kind move nic' -l $flag
end
complete -c kctl -n '__kctl_kind detach nic' -a '(kctl get nics -o name 2>/dev/null)'
complete -c kctl -n '__fish_seen_subcommand_from events' -l since -x
complete -c kctl -n '__fish_seen_subcommand_from events' -s f -l follow
