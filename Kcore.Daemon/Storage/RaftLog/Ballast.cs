namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>
/// A file of zeros that is given up when the disk is full, so that a member can still write what it needs to step down,
/// to take a snapshot and to delete what the snapshot replaces.
/// </summary>
internal sealed class Ballast(IFileLayer files, long bytes)
{
    public const string Name = "ballast";

    /// <summary>False once it was given up and could not be made again.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>Makes the file if it is not there whole.</summary>
    public void Restore()
    {
        if (IsHeld)
        {
            return;
        }

        try
        {
            using IStoreFile file = files.List().Contains(Name) ? files.Open(Name) : files.Create(Name);
            if (file.Length < bytes)
            {
                file.Preallocate(bytes);
                file.Sync();
                files.SyncDirectory();
            }

            IsHeld = true;
        }
        catch (DiskFullException)
        {
            // What was made of it would only be in the way.
            files.Delete(Name);
        }
    }

    /// <summary>Does <paramref name="write"/>; if the disk is full, once more with the ballast's room.</summary>
    public void Spend(Action write)
    {
        try
        {
            write();
        }
        catch (DiskFullException) when (IsHeld)
        {
            IsHeld = false;
            files.Delete(Name);

            // File systems hand freed room out again only after the deletion is durable.
            files.SyncDirectory();
            write();
        }
    }
}
