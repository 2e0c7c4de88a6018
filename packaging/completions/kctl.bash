# bash completion for kctl
_kctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' noun='' word i
    local global='--socket --output -o --help'
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case ${COMP_WORDS[i-1]} in --socket|--output|-o) continue ;; esac
        case $word in -*) continue ;; esac
        if [[ -z $verb ]]; then verb=$word; elif [[ -z $noun ]]; then noun=$word; fi
    done
    case $prev in
        --output|-o) COMPREPLY=($(compgen -W 'table wide json yaml name' -- "$cur")); return ;;
        --type) COMPREPLY=($(compgen -W 'nat bridge vxlan' -- "$cur")); return ;;
        --address-reuse) COMPREPLY=($(compgen -W 'never quarantine' -- "$cur")); return ;;
        --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        --network) COMPREPLY=($(compgen -W "$(kctl get networks -o name 2>/dev/null)" -- "$cur")); return ;;
        --target-node|--to) COMPREPLY=($(compgen -W "$(kctl get nodes -o name 2>/dev/null)" -- "$cur")); return ;;
        --netns) COMPREPLY=($(compgen -W "$(ls /run/netns 2>/dev/null)" -- "$cur")); return ;;
    esac
    local words=''
    case $verb:$noun in
        :) words='create get describe delete attach detach move network node cluster discover status doctor plan events version completion --version' ;;
        create:) words='network' ;;
        get:) words='networks nodes nics ips' ;;
        describe:) words='network node' ;;
        delete:) words='network' ;;
        attach:|detach:|move:) words='nic' ;;
        network:) words='reclaim release-orphans' ;;
        network:reclaim) words=$(kctl get networks -o name 2>/dev/null) ;;
        network:release-orphans) words="--ip $(kctl get networks -o name 2>/dev/null)" ;;
        node:) words='drain leave remove reset rotate-wireguard-key' ;;
        node:drain) words='--undo' ;;
        node:leave) words='--force' ;;
        node:remove) words="--force $(kctl get nodes -o name 2>/dev/null)" ;;
        node:reset) words='--force --forget-key' ;;
        cluster:) words='status transfer-leader recover-finalize keys rotate-key token join' ;;
        cluster:transfer-leader) words=$(kctl get nodes -o name 2>/dev/null) ;;
        cluster:rotate-key) words='--retire-after' ;;
        completion:) words='bash zsh fish' ;;
        create:network*) words='--external-ip --gateway-ip --internal-netmask --type --vlan-id --enable-outbound-nat --no-outbound-nat --target-node --uplink --publish --exclude --address-reuse --emergency-reserve --encryption --wait --timeout' ;;
        get:network*) words='--all' ;;
        get:nic*) words='--network' ;;
        get:ip*) words='--network --local' ;;
        describe:network*|delete:network*) words="--target-node $(kctl get networks -o name 2>/dev/null)" ;;
        describe:node*) words=$(kctl get nodes -o name 2>/dev/null) ;;
        attach:nic*) words='--network --netns --ifname --ip --mac --allow-spoofing' ;;
        detach:nic*) words="--network $(kctl get nics -o name 2>/dev/null)" ;;
        move:nic*) words="--network --to --prepare --complete --abort --netns --ifname --force $(kctl get nics -o name 2>/dev/null)" ;;
        events:*) words='--since --follow' ;;
    esac
    COMPREPLY=($(compgen -W "$words $global" -- "$cur"))
}
complete -F _kctl kctl
